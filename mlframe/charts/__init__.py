"""Pictures as SVG text and parts of HTML pages. They know no hook and no component."""
