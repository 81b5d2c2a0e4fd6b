"""Admission: what is checked and filled in across kinds before an object is validated."""
