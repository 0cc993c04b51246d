"""The inspector of hard negatives: a mining result as plain data, and the widgets that show and judge it."""
