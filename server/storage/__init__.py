"""Storage on SQLite and PostgreSQL: column types, the database port, its adapters, the writer, tables, migrations."""
