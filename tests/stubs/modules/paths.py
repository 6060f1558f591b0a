"""A stub of modules.paths; a test says where the models are."""

models_path = "models"
