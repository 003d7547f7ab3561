"""dlcli: train, judge and ship image and text classifiers from the command line."""

import os

__version__ = "0.1.0"

# Before anything imports them: Keras runs on TensorFlow here, and TensorFlow's start-up chatter
# (level 2 and below) would bury our one-line messages.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
