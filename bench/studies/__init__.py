"""One module per study: figures that a decision in docs/adr rests on, to be measured again when somebody asks."""
