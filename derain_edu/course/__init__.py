"""The course around the package: lessons, exercises, what lessons draw, the doctor."""
