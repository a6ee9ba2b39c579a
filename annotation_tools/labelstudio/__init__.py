"""Label Studio: environment, local server, REST client, and the project of a workspace."""
