"""What every data plane must do, as one table: Services and slices in; who reaches what, seen as whom."""
