"""What several verbs share; a verb itself is a file beside this folder."""
