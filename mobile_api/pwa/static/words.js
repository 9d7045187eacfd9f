// @ts-check
/**
 * Words in one language: a catalogue, its plurals, and dates as people say them.
 * Plurals and dates are `Intl`'s; a catalogue brings the names of days and months where browsers have none for its language.
 */

/** @typedef {{code: string, name: string, dir: "ltr" | "rtl", locale: string, draft: boolean, calendar?: Calendar}} Meta */
/** @typedef {{days: string[], months: string[], am: string, pm: string}} Calendar */
/** @typedef {{meta: Meta, words: Record<string, string | Record<string, string>>}} Catalogue */

export class Words {
  /** @param {Catalogue} catalogue */
  constructor({ meta, words }) {
    this.meta = meta;
    this.words = words;
    this.plurals = new Intl.PluralRules(meta.locale);
    this.intl = Intl.DateTimeFormat.supportedLocalesOf(meta.locale).length > 0;
    this.zone = "Europe/London";
  }

  /**
   * The words for `key`. `count` chooses the plural; other values fill the gaps.
   * @param {string} key
   * @param {Record<string, string | number>} values
   * @returns {string}
   */
  t(key, values = {}) {
    const found = this.words[key];
    if (found === undefined) throw new Error(`no words for ${key}`);
    const chosen = typeof found === "string" ? found : found[this.plurals.select(Number(values.count))] ?? found.other ?? "";
    return chosen.replace(/\{(\w+)\}/g, (_, name) => this.apart(String(values[name] ?? "")));
  }

  /** @param {string} key */
  has(key) {
    return this.words[key] !== undefined;
  }

  /**
   * A name inside a sentence that runs the other way keeps its own direction (UAX 9).
   * @param {string} value
   */
  apart(value) {
    return this.meta.dir === "rtl" ? `\u2068${value}\u2069` : value;
  }

  /**
   * “Tuesday 3 March”
   * @param {string} at
   */
  day(at) {
    const { calendar } = this.meta;
    if (this.intl || !calendar) {
      return this.#format(at, { weekday: "long", day: "numeric", month: "long" }).replace(",", "");
    }
    const [weekday, day, month] = this.#numbers(at);
    return `${calendar.days[weekday ?? 0]} ${day} ${calendar.months[(month ?? 1) - 1]}`;
  }

  /**
   * “Monday 29 November 2027”
   * @param {string} at
   */
  dayOfYear(at) {
    return `${this.day(at)} ${this.#format(at, { year: "numeric" })}`;
  }

  /**
   * “10:15am”, “11am”
   * @param {string} at
   */
  time(at) {
    const { calendar } = this.meta;
    if (!calendar) return this.#format(at, { hour: "numeric", minute: "2-digit" });
    const [, , , hour = 0, minute = 0] = this.#numbers(at);
    const minutes = minute ? `:${String(minute).padStart(2, "0")}` : "";
    return `${((hour + 11) % 12) + 1}${minutes}${hour < 12 ? calendar.am : calendar.pm}`;
  }

  /** @param {string} at */
  moment(at) {
    return `${this.day(at)}, ${this.time(at)}`;
  }

  /**
   * “March”
   * @param {string} month as “2026-03”
   */
  month(month) {
    const { calendar } = this.meta;
    if (calendar) return calendar.months[Number(month.slice(5)) - 1] ?? month;
    return new Intl.DateTimeFormat(this.meta.locale, { month: "long",
      timeZone: "UTC" }).format(new Date(`${month}-15T00:00:00Z`));
  }

  /**
   * The day in the school's zone, for putting lessons of one day together.
   * @param {string} at
   */
  date(at) {
    return new Intl.DateTimeFormat("en-CA", { dateStyle: "short", timeZone: this.zone }).format(new Date(at));
  }

  /** @param {string} at @param {Intl.DateTimeFormatOptions} how */
  #format(at, how) {
    return new Intl.DateTimeFormat(this.meta.locale, { ...how, timeZone: this.zone }).format(new Date(at));
  }

  /** @param {string} at @returns {number[]} weekday (0 is Sunday), day, month, hour, minute, in the school's zone */
  #numbers(at) {
    const parts = new Intl.DateTimeFormat("en-GB", {
      timeZone: this.zone, year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric",
        hourCycle: "h23",
    }).formatToParts(new Date(at));
    const of = Object.fromEntries(parts.map((part) => [part.type, Number(part.value)]));
    const weekday = new Date(Date.UTC(of.year ?? 0, (of.month ?? 1) - 1, of.day ?? 1)).getUTCDay();
    return [weekday, of.day ?? 1, of.month ?? 1, of.hour ?? 0, of.minute ?? 0];
  }
}
