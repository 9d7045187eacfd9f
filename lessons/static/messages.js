// @ts-check
/** What the room says and hears (docs/room-protocol.md), as types for the checker. No code. */

/** @typedef {"lobby" | "open" | "held" | "ended"} RoomState */
/** @typedef {"microphone" | "camera" | "screen"} Source */
/** @typedef {"teacher" | "staff" | "leader" | "guest" | "pupil"} Role */
/** @typedef {"microphone" | "camera" | "chat" | "screen" | "moderate"} May */

/**
 * @typedef {object} Person
 * @property {string} person opaque id
 * @property {string} name
 * @property {Role} role
 * @property {number | null} hand place in the queue of hands
 * @property {boolean} microphone being sent
 * @property {boolean} camera
 * @property {boolean} screen
 * @property {boolean} [camera_stopped]
 * @property {boolean} [may_share]
 * @property {"none" | "staff" | "all"} [sharing]
 * @property {string | null} [beside] who sits beside them (staff only)
 * @property {boolean} connected
 */

/**
 * @typedef {object} Welcome
 * @property {{person: string, name: string, role: Role, may: May[]}} you
 * @property {{id: string, title: string, class_name: string, starts_at: string, ends_at: string, hard_end_at: string,
 *   links: {url: string, title: string}[], one_to_one?: boolean}} lesson
 * @property {string} now
 * @property {number} heartbeat_every seconds
 */

/**
 * @typedef {object} State
 * @property {RoomState} room
 * @property {string[]} hold reasons, most important first
 * @property {{adults: number, pupils: number, needed: number, recording: boolean}} waiting
 * @property {string} ends_at
 * @property {boolean} recording
 * @property {Person[]} people
 * @property {boolean} chat
 * @property {string | null} presenter
 * @property {boolean} [breakouts] this is the main room, and breakout rooms are open
 * @property {string | null} [approved_until] an adult and a pupil are alone here by an approval, which ends then
 */

/** @typedef {{mid: string, person: string, source: Source, track: MediaStreamTrack}} Stream */
/** @typedef {{lesson: string, name: string, is_main: boolean}} Move */
/** @typedef {{status: number, code: string, title: string, detail: string, place?: {lesson: string, name: string}}} Problem */

/**
 * One room of a lesson with breakout rooms, as its staff see it.
 * @typedef {object} RoomLine
 * @property {string} lesson
 * @property {string} name
 * @property {RoomState} room
 * @property {string[]} hold
 * @property {number} adults
 * @property {number} pupils who are there
 * @property {number} expected who belong there
 */

/** @typedef {{rooms: RoomLine[], pupils: {person: string, name: string, lesson: string, here: boolean}[]}} Rooms */
/** @typedef {{id: string, person: string, name: string, text: string, at: string, own?: string | null}} ChatMessage */
/** @typedef {{own?: string | null, id?: string | null, person?: string, name?: string | null, text?: string | null, reason: "word" | "link"}} ChatHeld */
/** @typedef {"paused" | "off" | "not-permitted" | "too-long" | "too-fast" | "empty"} ChatRefusal */
/** @typedef {{what: string, by?: string | null, source?: string | null}} Changed */

/**
 * What a listener may hear. `connection` and `streams` are this side's own; the others are the server's messages.
 * @typedef {object} Events
 * @property {Welcome} welcome
 * @property {State} state
 * @property {ChatMessage} chat
 * @property {ChatHeld} chat_held
 * @property {{own: string, reason: ChatRefusal}} chat_refused
 * @property {{what: string, by?: string | null}} asked
 * @property {Changed} changed
 * @property {{type_refused: string, code: string, detail: string}} refused
 * @property {{minutes: number}} time_left
 * @property {{flag: string}} flagged
 * @property {Rooms} rooms
 * @property {Move} move this person is on the way to another room of the lesson
 * @property {{reason: string, problem?: Problem}} over nothing more will come; why
 * @property {{status: "connecting" | "crowded" | "connected" | "lost", since: number}} connection
 * @property {Stream[]} streams everything that may be shown or played now
 */

/**
 * The answers of the door. A reconnection sends none: they are kept.
 * @typedef {object} Answers
 * @property {"yes" | "not answered"} [clothing]
 * @property {"yes" | "not answered"} [place]
 * @property {"yes" | "not answered"} [people_near]
 * @property {"nobody" | "grown-up" | "sibling" | "not answered"} [beside]
 * @property {"all" | "sound-only"} [media]
 * @property {string} [device]
 */

export {};
