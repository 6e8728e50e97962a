"""Problems → what people and programs read. Nothing in here prints."""
