"""Who reaches what through a Service, computed by the code that programs the kernel."""
