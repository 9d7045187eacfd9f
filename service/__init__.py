"""The roof and the floor of Chaperone: the command line and the application above, the foundation below."""
