"""pairwise_distance, pdist, cosine_similarity, cosine_embedding_loss, triplet losses (being written by another engineer)."""
