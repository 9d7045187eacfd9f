"""Real peers through the plane: sound and pictures are decoded at the other end, behind the gate and the route."""

from lessons.media.keys import SourceKey
from tests.media.peers import Grey, School, Tone, brightness


async def test_sound_and_pictures_reach_those_they_are_routed_to(school: School) -> None:
    anna, ben = school.join("anna"), school.join("ben")
    school.open()
    school.route(anna_microphone=["ben"], anna_camera=["ben"], ben_microphone=["anna"])
    await anna.publish(Tone(440), Grey(200))
    await ben.publish(Tone(880))
    await ben.until(lambda: ben.got("anna", "microphone") > 25 and ben.got("anna", "camera") > 10)
    await anna.until(lambda: anna.got("ben", "microphone") > 25)
    assert abs(brightness(ben.frames["anna", "camera"][-1]) - 200) < 12
    assert school.record.frames[SourceKey("anna", "camera")][0][1], "the record begins with a key frame"
