// Package chat turns a conversation into the tokens that a model was trained to see.
//
// A model's chat template is found by [Load] in the files of its folder, or given to
// [New] as a GGUF file holds it. [Template.Render] runs it on messages and tools, and
// [Prompt.Encode] makes tokens of the result so that what a user types can't forge a
// turn: only the template's own text becomes control tokens, whatever the messages
// say. For messages without control tokens in them the ids are those that Hugging
// Face's apply_chat_template gives.
package chat
