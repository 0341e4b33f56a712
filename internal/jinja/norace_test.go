//go:build !race

package jinja

const raceFactor = 1
