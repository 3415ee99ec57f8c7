"""Check the types of the application when it is imported."""

from beartype.claw import beartype_package

beartype_package("app")
