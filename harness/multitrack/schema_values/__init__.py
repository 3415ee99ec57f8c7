"""Generate values that are valid for a JSON Schema, such as arguments for a tool call.

The values depend only on the schema: equal schemas give equal values in every run.
"""

from multitrack.schema_values.schema_value import UnsatisfiableError, generate_value

__all__ = ["UnsatisfiableError", "generate_value"]
