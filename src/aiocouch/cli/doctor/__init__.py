"""What may be wrong with a server or a database: checks, and what they find.

A judge is pure: it makes findings of what a server has told. A check asks, and hands it to judges.
"""

from aiocouch.cli.doctor.finding import Finding, Severity
from aiocouch.cli.doctor.patient import Check, Patient

__all__ = ["Check", "Finding", "Patient", "Severity"]
