"""What joins the control process to its responders and its operator: supervision and the Unix sockets."""
