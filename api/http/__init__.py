"""HTTP below the faces: bodies, problems, routing, middleware, connections."""
