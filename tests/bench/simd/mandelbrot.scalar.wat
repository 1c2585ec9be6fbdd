(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 5120))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32)
    (local f32)
    (local i32 i32 i32)
    (local f32 f32 f32 f32 f32)
    i32.const 0
    local.set 1
    block
      local.get 0
      i32.const 1
      i32.lt_s
      br_if 0
      i32.const 0
      local.set 2
      loop
        local.get 2
        f32.convert_i32_s
        f32.const 0.01171875
        f32.mul
        f32.const -1.5
        f32.add
        local.set 3
        i32.const 0
        local.set 4
        loop
          local.get 1
          i32.const 100
          i32.add
          local.set 5
          i32.const 0
          local.set 6
          local.get 3
          local.set 7
          local.get 4
          f32.convert_i32_s
          f32.const 0.01171875
          f32.mul
          f32.const -2
          f32.add
          local.tee 8
          local.set 9
          block
            block
              loop
                local.get 9
                local.get 9
                f32.mul
                local.tee 10
                local.get 7
                local.get 7
                f32.mul
                local.tee 11
                f32.add
                f32.const 4
                f32.le
                i32.eqz
                br_if 1
                block
                  local.get 8
                  local.get 10
                  local.get 11
                  f32.sub
                  f32.add
                  local.tee 10
                  local.get 10
                  f32.mul
                  local.tee 11
                  local.get 3
                  local.get 9
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.tee 7
                  local.get 7
                  f32.mul
                  local.tee 9
                  f32.add
                  f32.const 4
                  f32.le
                  i32.eqz
                  br_if 0
                  local.get 8
                  local.get 11
                  local.get 9
                  f32.sub
                  f32.add
                  local.set 9
                  local.get 3
                  local.get 10
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.set 7
                  local.get 6
                  i32.const 2
                  i32.add
                  local.tee 6
                  i32.const 100
                  i32.ne
                  br_if 1
                  br 3
                end
              end
              local.get 1
              local.get 6
              i32.add
              i32.const 1
              i32.add
              local.set 5
              br 1
            end
            local.get 1
            local.get 6
            i32.add
            local.set 5
          end
          local.get 5
          i32.const 100
          i32.add
          local.set 1
          i32.const 0
          local.set 6
          local.get 3
          local.set 7
          local.get 4
          i32.const 1
          i32.or
          f32.convert_i32_s
          f32.const 0.01171875
          f32.mul
          f32.const -2
          f32.add
          local.tee 8
          local.set 9
          block
            block
              loop
                local.get 9
                local.get 9
                f32.mul
                local.tee 10
                local.get 7
                local.get 7
                f32.mul
                local.tee 11
                f32.add
                f32.const 4
                f32.le
                i32.eqz
                br_if 1
                block
                  local.get 8
                  local.get 10
                  local.get 11
                  f32.sub
                  f32.add
                  local.tee 10
                  local.get 10
                  f32.mul
                  local.tee 11
                  local.get 3
                  local.get 9
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.tee 7
                  local.get 7
                  f32.mul
                  local.tee 9
                  f32.add
                  f32.const 4
                  f32.le
                  i32.eqz
                  br_if 0
                  local.get 8
                  local.get 11
                  local.get 9
                  f32.sub
                  f32.add
                  local.set 9
                  local.get 3
                  local.get 10
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.set 7
                  local.get 6
                  i32.const 2
                  i32.add
                  local.tee 6
                  i32.const 100
                  i32.ne
                  br_if 1
                  br 3
                end
              end
              local.get 5
              local.get 6
              i32.add
              i32.const 1
              i32.add
              local.set 1
              br 1
            end
            local.get 5
            local.get 6
            i32.add
            local.set 1
          end
          local.get 1
          i32.const 100
          i32.add
          local.set 5
          i32.const 0
          local.set 6
          local.get 3
          local.set 7
          local.get 4
          i32.const 2
          i32.or
          f32.convert_i32_s
          f32.const 0.01171875
          f32.mul
          f32.const -2
          f32.add
          local.tee 8
          local.set 9
          block
            block
              loop
                local.get 9
                local.get 9
                f32.mul
                local.tee 10
                local.get 7
                local.get 7
                f32.mul
                local.tee 11
                f32.add
                f32.const 4
                f32.le
                i32.eqz
                br_if 1
                block
                  local.get 8
                  local.get 10
                  local.get 11
                  f32.sub
                  f32.add
                  local.tee 10
                  local.get 10
                  f32.mul
                  local.tee 11
                  local.get 3
                  local.get 9
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.tee 7
                  local.get 7
                  f32.mul
                  local.tee 9
                  f32.add
                  f32.const 4
                  f32.le
                  i32.eqz
                  br_if 0
                  local.get 8
                  local.get 11
                  local.get 9
                  f32.sub
                  f32.add
                  local.set 9
                  local.get 3
                  local.get 10
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.set 7
                  local.get 6
                  i32.const 2
                  i32.add
                  local.tee 6
                  i32.const 100
                  i32.ne
                  br_if 1
                  br 3
                end
              end
              local.get 1
              local.get 6
              i32.add
              i32.const 1
              i32.add
              local.set 5
              br 1
            end
            local.get 1
            local.get 6
            i32.add
            local.set 5
          end
          local.get 5
          i32.const 100
          i32.add
          local.set 1
          i32.const 0
          local.set 6
          local.get 3
          local.set 7
          local.get 4
          i32.const 3
          i32.or
          f32.convert_i32_s
          f32.const 0.01171875
          f32.mul
          f32.const -2
          f32.add
          local.tee 8
          local.set 9
          block
            block
              loop
                local.get 9
                local.get 9
                f32.mul
                local.tee 10
                local.get 7
                local.get 7
                f32.mul
                local.tee 11
                f32.add
                f32.const 4
                f32.le
                i32.eqz
                br_if 1
                block
                  local.get 8
                  local.get 10
                  local.get 11
                  f32.sub
                  f32.add
                  local.tee 10
                  local.get 10
                  f32.mul
                  local.tee 11
                  local.get 3
                  local.get 9
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.tee 7
                  local.get 7
                  f32.mul
                  local.tee 9
                  f32.add
                  f32.const 4
                  f32.le
                  i32.eqz
                  br_if 0
                  local.get 8
                  local.get 11
                  local.get 9
                  f32.sub
                  f32.add
                  local.set 9
                  local.get 3
                  local.get 10
                  local.get 7
                  f32.mul
                  local.tee 7
                  local.get 7
                  f32.add
                  f32.add
                  local.set 7
                  local.get 6
                  i32.const 2
                  i32.add
                  local.tee 6
                  i32.const 100
                  i32.ne
                  br_if 1
                  br 3
                end
              end
              local.get 5
              local.get 6
              i32.add
              i32.const 1
              i32.add
              local.set 1
              br 1
            end
            local.get 5
            local.get 6
            i32.add
            local.set 1
          end
          local.get 4
          i32.const 4
          i32.add
          local.tee 4
          local.get 0
          i32.lt_s
          br_if 0
        end
        local.get 2
        i32.const 1
        i32.add
        local.tee 2
        local.get 0
        i32.ne
        br_if 0
      end
    end
    local.get 1))
