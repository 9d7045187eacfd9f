"""Access to a recording by grant: for people who may not watch by their role (policy: RE1)."""
