"""The definitive AlexNet: the system of Krizhevsky, Sutskever and Hinton (NIPS 2012), rebuilt."""
