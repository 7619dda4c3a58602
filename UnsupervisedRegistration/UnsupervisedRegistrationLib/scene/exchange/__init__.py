"""Registrations exchanged with other systems as DICOM objects."""
