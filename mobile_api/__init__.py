"""The phone's JSON API: thin routes and schemas."""
