"""The TFLiteExport component."""
