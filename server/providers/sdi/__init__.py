"""Italian electronic invoices as the Sistema di Interscambio hands them over.

Whatever arrives is either a typed invoice, exact to the cent, or an error with a stable code: nothing is guessed.
"""

from server.providers.sdi.fatturapa import parse_archive, parse_file
from server.providers.sdi.fields import UnreadableInvoiceError
from server.providers.sdi.model import InvoiceBody, InvoiceFile

__all__ = ["InvoiceBody", "InvoiceFile", "UnreadableInvoiceError", "parse_archive", "parse_file"]
