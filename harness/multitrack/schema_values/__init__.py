"""Values that are valid for a JSON Schema, such as the arguments of a tool call.

They depend on nothing but the schema, so that equal schemas have equal values in every run.
"""

from multitrack.schema_values.schema_value import UnsatisfiableError, generate_value

__all__ = ["UnsatisfiableError", "generate_value"]
