"""Pictures and widgets; the only room that draws.

One module for each kind of picture (charts, panels, ladder, tables, explore), and one
for each day (day1 to day3), which turns that day's measurements into those pictures.
"""

from helpers.show.costs import cost_table
from helpers.show.explore import Slider, explore
from helpers.show.ladder import ladder
from helpers.show.source import source
from helpers.show.tables import table

__all__ = ["Slider", "cost_table", "explore", "ladder", "source", "table"]
