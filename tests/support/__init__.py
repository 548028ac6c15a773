"""What tests share: databases, servers and processes that are real, start fast and never outlive the test."""
