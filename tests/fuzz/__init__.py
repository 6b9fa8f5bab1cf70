"""Coverage-guided fuzzing of what strangers' bytes reach first: `make fuzz ARGS="--seconds 60"`.

`targets` says what each fuzzed part promises, `seeds/` holds inputs to begin with, `guided` is one run under atheris,
`__main__` runs several and tells what came of them.
"""
