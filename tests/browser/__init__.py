"""Real browsers, the built PWA, a real server process and its database: nothing lost and nothing doubled.

Chromium is required; Firefox ESR and WebKitGTK run where they are installed, as they are in CI.
"""
