// The probe's holder and its lid. All lengths in mm.
// drawings.py reads the numbers below for its drawings: keep them as plain `name = number;`.
//
//   openscad -D 'part="holder"' -o holder.stl holder.scad
//   openscad -D 'part="lid"'    -o lid.stl    holder.scad
//
// Seen from behind, as a person sees it who faces the meter with the probe on: x to the right, y up, cable down.
// The transmitter (LED) is on the left, the receiver on the right. z = 0 is the face that touches the meter.

part = "holder";        // holder, lid or both

// The head (IEC 62056-21 form; README says which of these are verified)
head_diameter = 32;     // outer diameter
axes_distance = 6.5;    // between the two optical axes
magnet_outer = 27;
magnet_inner = 16;
magnet_height = 5;
magnet_gap = 0.3;       // all round, for glue

// The optical parts: 3 mm (T-1) packages
optic_diameter = 3.0;
optic_gap = 0.2;        // added to the diameter of the bore
rim_diameter = 3.9;     // the package's rim, it stops the part
rim_seat = 6.5;         // depth of the rim's seat behind the face
lens_length = 4.3;      // from rim to tip: how far the tip stands behind the face follows
tunnel_diameter = 3.2;

// The body
face_thickness = 0.8;   // plastic between magnet and meter
body_height = 26;       // room for resistors that stand on the board
foot_height = 8;        // up to here the outside is round
wall = 1.6;
core_diameter = 15.4;   // inside the magnet; carries the optics
core_height = 9.5;
baffle_thickness = 1.2; // the wall between the legs of LED and phototransistor, behind the core
baffle_height = 4;      // the board lies on it and on the bars at its ends
cable_height = 20;      // middle of the cable
cable_diameter = 4.2;
lid_thickness = 2;
lid_plug = 3;

$fn = 96;

module tube(h, outer, inner) {
    difference() {
        cylinder(h = h, d = outer);
        translate([0, 0, -1]) cylinder(h = h + 2, d = inner);
    }
}

// One optical channel, open to the face: tunnel, bore of the package, seat of the rim, way for the legs.
module channel(x) {
    translate([x, 0, 0]) {
        translate([0, 0, -1]) cylinder(h = core_height + 2, d = tunnel_diameter);
        translate([0, 0, rim_seat - lens_length]) cylinder(h = core_height, d = optic_diameter + optic_gap);
        translate([0, 0, rim_seat]) cylinder(h = core_height, d = rim_diameter + optic_gap);
    }
}

module holder() {
    difference() {
        union() {
            cylinder(h = face_thickness, d = head_diameter);
            tube(body_height, head_diameter, head_diameter - 2 * wall);
            // the magnet's pocket: filled out to the wall, so that the magnet is centred
            tube(face_thickness + magnet_height, head_diameter, magnet_outer + 2 * magnet_gap);
            cylinder(h = core_height, d = core_diameter);
            // the baffle goes on behind the core, between the legs
            translate([-baffle_thickness / 2, -core_diameter / 2 + 0.2, 0])
                cube([baffle_thickness, core_diameter - 0.4, core_height + baffle_height]);
            // two bars across it: with the baffle they carry the board, and the magnet still passes
            for (y = [-1, 1]) translate([-4, y * (core_diameter / 2 - 2.2) - 1, 0])
                cube([8, 2, core_height + baffle_height]);
            // the mark: a ridge at the top, above the round foot that may sit in the meter's recess
            translate([-1, head_diameter / 2 - 0.6, foot_height]) cube([2, 1.8, body_height - foot_height]);
        }
        channel(-axes_distance / 2);
        channel(axes_distance / 2);
        // the magnet's ring, free from behind
        translate([0, 0, face_thickness])
            tube(magnet_height + 0.2, magnet_outer + 2 * magnet_gap, magnet_inner - 2 * magnet_gap);
        // cable exit at the bottom, and a tie's two slots beside it
        translate([0, -head_diameter / 2 + wall + 0.5, cable_height])
            rotate([90, 0, 0]) cylinder(h = wall + 3, d = cable_diameter);
        for (x = [-5, 5]) translate([x - 0.75, -head_diameter / 2 - 1, cable_height - 1.5]) cube([1.5, 6, 3]);
    }
}

// The lid carries the marks that one sees: an arrow up, one dot over the transmitter, two over the receiver.
module lid() {
    difference() {
        union() {
            cylinder(h = lid_thickness, d = head_diameter);
            translate([0, 0, lid_thickness])
                tube(lid_plug, head_diameter - 2 * wall - 0.3, head_diameter - 4 * wall);
            translate([-1, head_diameter / 2 - 0.6, 0]) cube([2, 1.8, lid_thickness]);
        }
        // seen from outside the lid is mirrored, as it is printed with its outside down
        translate([0, 0, -0.01]) mirror([1, 0, 0]) {
            translate([0, 5, 0]) linear_extrude(0.8)
                polygon([[-4, 0], [4, 0], [0, 6]]);
            translate([-6.5, 0, 0]) cylinder(h = 0.8, d = 2.4);
            for (y = [-2, 2]) translate([6.5, y, 0]) cylinder(h = 0.8, d = 2.4);
        }
        // the plug leaves room for the cable
        translate([-3.5, -head_diameter / 2, lid_thickness]) cube([7, 6, lid_plug + 1]);
    }
}

if (part == "holder") holder();
if (part == "lid") lid();
if (part == "both") {
    holder();
    translate([head_diameter + 8, 0, 0]) lid();
}
