"""Deribit's private side: login, the account's own notifications, and questions by REST. It only reads."""
