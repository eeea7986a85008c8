"""The handle team's pages: the same flows as everybody's, for the roles of core/access alone."""
