"""Results of earlier registrations, stored in the scene."""
