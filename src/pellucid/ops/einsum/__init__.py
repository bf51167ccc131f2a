"""Einstein sums: syntax, plan, contraction."""
