"""The SELECTs of the api, by noun: connection first, Structs out, `project_id` first in every condition."""
