"""What the panel in Slicer and the page in the browser share: parameters, Live, texts; free of Qt.

Whoever shows the interface passes in what makes timers, see ``scheduling``.
"""
