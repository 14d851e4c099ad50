"""What papers publish: claims, the numbers behind them, and the verdict on each."""
