"""The Fatture in Cloud dialect: CloudEvents that hold ids only, OAuth 2.0, documents fetched by their ids."""
