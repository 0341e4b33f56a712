// Package hub finds models by name and fetches them from a Hugging Face hub.
//
// What is fetched lies in Hugging Face's own cache ($HF_HOME/hub, by default
// ~/.cache/huggingface/hub), in its layout, so that other programs find it and their
// models are found here:
//
//	models--OWNER--NAME/
//	    blobs/HASH              files, by sha256 (large ones) or git's sha1
//	    refs/main               the commit that main stood for when it was fetched
//	    snapshots/COMMIT/FILE   links to blobs; copies where links can't be made
//
// Models that were quantized here lie beside it in a store of their own ([Store]).
//
// A hub is not trusted with more than bytes: names that it gives never become paths
// without a check, what arrives is compared with its hash, sizes are bounded before
// they are believed, and the token goes to no other host.
package hub
