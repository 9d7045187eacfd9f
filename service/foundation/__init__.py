"""The floor everything stands on: settings, clock, errors, events, database, audit, bus, web, jobs."""
