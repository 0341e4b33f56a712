package jinja

import (
	"fmt"
	"strings"
)

// strftimeNow writes the time by Python's strftime, in the C locale.
func strftimeNow(r *renderer, a *args) (Value, error) {
	p, err := a.bind("format")
	if err != nil {
		return nil, err
	}
	format, err := wantText(p[0], "the format")
	if err != nil {
		return nil, err
	}
	if err := r.made(8 * len(format.s)); err != nil {
		return nil, err
	}
	s, t := format.s, r.now
	layouts := map[byte]string{'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'm': "01", 'y': "06", 'Y': "2006",
		'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'Z': "MST", 'z': "-0700", 'j': "002", 'D': "01/02/06", 'F': "2006-01-02",
		'T': "15:04:05", 'R': "15:04", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05"}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		plain := s[i] == '-' && i+1 < len(s) // %-d: without the leading zero
		if plain {
			i++
		}
		out := ""
		switch layout, ok := layouts[s[i]]; {
		case ok:
			out = t.Format(layout)
		case s[i] == '%':
			out = "%"
		case s[i] == 'n':
			out = "\n"
		case s[i] == 't':
			out = "\t"
		case s[i] == 'f':
			out = fmt.Sprintf("%06d", t.Nanosecond()/1000)
		case s[i] == 's':
			out = fmt.Sprint(t.Unix())
		case s[i] == 'w':
			out = fmt.Sprint(int(t.Weekday()))
		case s[i] == 'u':
			out = fmt.Sprint((int(t.Weekday())+6)%7 + 1)
		default:
			return nil, fmt.Errorf("%%%c of a time format is not supported", s[i])
		}
		if plain {
			if out = strings.TrimLeft(out, "0 "); out == "" {
				out = "0"
			}
		}
		b.WriteString(out)
	}
	return Template(b.String()), nil
}
