package constrain

// formats are expressions of the formats of strings that are enforced.
var formats = map[string]string{
	"date":      date,
	"time":      timeOfDay,
	"date-time": date + `T` + timeOfDay,
	"duration":  `P(\d{1,4}W|\d{1,4}D|\d{1,4}M(\d{1,4}D)?|\d{1,4}Y(\d{1,4}M(\d{1,4}D)?)?|((\d{1,4}D|\d{1,4}M(\d{1,4}D)?|\d{1,4}Y(\d{1,4}M(\d{1,4}D)?)?))?T(\d{1,4}S|\d{1,4}M(\d{1,4}S)?|\d{1,4}H(\d{1,4}M(\d{1,4}S)?)?))`,
	"uuid":      `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"email":     `[A-Za-z0-9_+-]{1,32}(\.[A-Za-z0-9_+-]{1,16})?@` + host,
	"hostname":  host,
	"ipv4":      ipv4,
	"ipv6":      `([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}`,
	"uri":       `https?://` + host + `(:[1-9]\d{0,3})?(/[A-Za-z0-9._~-]{0,64}){0,8}(\?[A-Za-z0-9._~=&-]{0,64})?(#[A-Za-z0-9._~-]{0,64})?`,
}

const (
	// date knows how many days a month has, and leap years.
	date = `(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|\d{4}-(0[13-9]|1[0-2])-(29|30)|\d{4}-(0[13578]|1[02])-31|` +
		`(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)`
	timeOfDay = `([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)`
	host      = `[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){1,3}`
	ipv4      = `((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
)
