"""Real server processes killed at random under load, with real peers behind lines that fail: what must hold, holds."""
