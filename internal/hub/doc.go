// Package hub finds models by name and downloads them from a Hugging Face hub.
//
// Downloads are stored in Hugging Face's own cache ($HF_HOME/hub, by default
// ~/.cache/huggingface/hub), in its layout, so that it is shared with other programs:
//
//	models--OWNER--NAME/
//	    blobs/HASH              files, by sha256 (large ones) or git's sha1
//	    refs/main               the commit that main stood for when it was fetched
//	    snapshots/COMMIT/FILE   links to blobs; copies where links can't be made
//
// Models that were quantized here are in a separate store ([Store]).
//
// A hub is trusted with nothing but bytes: names that it sends never become paths without a
// check, downloads are compared with their hash, sizes are limited before they are used,
// and the token is sent to no other host.
package hub
