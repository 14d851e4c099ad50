"""What papers publish: claims, their accounts, and the verdict on each."""
