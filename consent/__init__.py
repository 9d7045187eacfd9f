"""Purposes, agreements, versioned documents, responses, and the status derived from them."""
