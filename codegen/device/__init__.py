"""What any accelerator needs: from a loop program to a schedule of launches."""
